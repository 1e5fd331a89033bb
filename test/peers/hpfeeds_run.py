"""Run hpfeeds' own programs: hpfeeds_run.py broker|cli ARGUMENT...

From Python 3.11 on, asyncio's TLS has no "_sslpipe" any more, which the broker of hpfeeds 3.1.0 asks
for when it writes to a TLS client; nothing is done with it but a question of whether it is there. And
its client has no main guard.
"""

import asyncio.sslproto
import sys

if not hasattr(asyncio.sslproto.SSLProtocol, "_sslpipe"):
    asyncio.sslproto.SSLProtocol._sslpipe = property(lambda self: self)

which = sys.argv.pop(1)
if which == "broker":
    from hpfeeds.scripts.broker import main
else:
    from hpfeeds.scripts.cli import main

main()
