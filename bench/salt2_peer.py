"""Fit light curves with sncosmo, and time each. Run by /usr/bin/python3, for salt2.bench.ts and tests.

Reads one JSON object from standard input: model (a directory), bands (name to file), curves (each with
time, band, flux, err, z, mwebv), modes. Prints one JSON object a fit: mode, curve, parameters, errors,
chisq, ndof, cpu (seconds of this process's CPU).
"""

import glob
import gzip
import json
import os
import shutil
import sys
import tempfile
import time
import warnings

warnings.simplefilter("ignore")

import numpy as np
import sncosmo
from astropy.table import Table


def unpacked(directory):
    """sncosmo reads plain files only."""
    target = tempfile.mkdtemp(prefix="nightjar-salt2-")
    for path in glob.glob(os.path.join(directory, "*.dat*")):
        name = os.path.basename(path).removesuffix(".gz")
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rb") as source, open(os.path.join(target, name), "wb") as copy:
            shutil.copyfileobj(source, copy)
    return target


def main():
    job = json.load(sys.stdin)
    directory = unpacked(job["model"])
    try:
        source = sncosmo.SALT2Source(modeldir=directory, name="salt2", version="2.4")
    finally:
        shutil.rmtree(directory)
    for name, path in job["bands"].items():
        wave, transmission = np.loadtxt(path, unpack=True)
        band = sncosmo.Bandpass(wave, transmission, name=name, trim_level=0.001)
        sncosmo.register(band, name, force=True)
    tables = []
    for curve in job["curves"]:
        count = len(curve["time"])
        columns = {"time": curve["time"], "band": curve["band"], "flux": curve["flux"]}
        columns |= {"fluxerr": curve["err"], "zp": [25.0] * count, "zpsys": ["ab"] * count}
        tables.append(Table(columns))
    for mode in job["modes"]:
        for index, (curve, table) in enumerate(zip(job["curves"], tables)):
            print(json.dumps(fit(source, curve, table, mode) | {"mode": mode, "curve": index}))


def fit(source, curve, table, mode):
    model = sncosmo.Model(
        source, effects=[sncosmo.CCM89Dust()], effect_names=["MW"], effect_frames=["obs"]
    )
    model.set(z=curve["z"], MWebv=curve["mwebv"])
    names = ["t0", "x0", "x1", "c"]
    options = {}
    if mode == "free":
        names = ["z"] + names
        options["bounds"] = {"z": (0.01, 0.2), "x1": (-5, 5), "c": (-2, 2)}
    if mode in ("covariance", "phases"):
        options["modelcov"] = True
    if mode == "phases":
        options["phase_range"] = (-15, 45)
    start = time.process_time()
    try:
        result, _ = sncosmo.fit_lc(table, model, names, **options)
    except (RuntimeError, sncosmo.fitting.DataQualityError) as error:
        return {"failed": str(error), "cpu": time.process_time() - start}
    cpu = time.process_time() - start
    return {
        "cpu": cpu,
        "chisq": float(result.chisq),
        "ndof": int(result.ndof),
        "parameters": dict(zip(result.param_names, map(float, result.parameters))),
        "errors": {name: float(value) for name, value in result.errors.items()},
    }


if __name__ == "__main__":
    main()
