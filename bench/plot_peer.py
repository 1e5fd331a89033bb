"""Draw a light curve with its fit by sncosmo.plot_lc as PNG, again and again, and time each.

Run by /usr/bin/python3, for plot.bench.ts. Reads one JSON object from standard input: model (a directory),
bands (name to file), curve (time, band, flux, err), parameters, repeats. Prints seconds of CPU, one a line.
"""

import io
import json
import sys
import time
import warnings

warnings.simplefilter("ignore")

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import sncosmo
from astropy.table import Table

from salt2_peer import unpacked


def main():
    job = json.load(sys.stdin)
    source = sncosmo.SALT2Source(modeldir=unpacked(job["model"]), name="salt2", version="2.4")
    for name, path in job["bands"].items():
        wave, transmission = np.loadtxt(path, unpack=True)
        band = sncosmo.Bandpass(wave, transmission, name=name, trim_level=0.001)
        sncosmo.register(band, name, force=True)
    model = sncosmo.Model(source)
    model.set(**job["parameters"])
    curve = job["curve"]
    count = len(curve["time"])
    columns = {"time": curve["time"], "band": curve["band"], "flux": curve["flux"]}
    columns |= {"fluxerr": curve["err"], "zp": [31.4] * count, "zpsys": ["ab"] * count}
    table = Table(columns)
    for _ in range(job["repeats"]):
        start = time.process_time()
        figure = sncosmo.plot_lc(table, model=model)
        figure.savefig(io.BytesIO(), format="png")
        plt.close(figure)
        print(time.process_time() - start)


main()
