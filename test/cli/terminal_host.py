"""Runs a program on a terminal of its own. What it writes comes out as lines of JSON; lines that go in
press keys and change the size."""
import base64, fcntl, json, os, pty, select, signal, struct, sys, termios

rows, columns, *words = sys.argv[1:]


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


read, write = os.pipe()
child, terminal = pty.fork()
if child == 0:
    # Not before the terminal has its size.
    os.close(write)
    os.read(read, 1)
    os.execvp(words[0], words)
resize(terminal, rows, columns)
os.close(write)
left = b""
while True:
    ready, _, _ = select.select([terminal, 0], [], [])
    if terminal in ready:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            break
        say(data=base64.b64encode(data).decode())
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            os.kill(child, signal.SIGKILL)
            break
        *lines, left = (left + data).split(b"\n")
        for line in map(json.loads, lines):
            if "resize" in line:
                resize(terminal, *line["resize"])
            else:
                os.write(terminal, line["press"].encode())
_, status = os.waitpid(child, 0)
say(status=os.waitstatus_to_exitcode(status))
