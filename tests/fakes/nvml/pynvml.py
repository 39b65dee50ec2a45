"""nvidia-ml-py with a table of our own: on PYTHONPATH before the real one. FAKE_NVML names a JSON file, read each time.

    [{"uuid": "GPU-a", "total": 80e9, "used": 1e6, "processes": [[123, 5e9]], "busy": 40, "milliwatts": 90000, "celsius": 50}]

A key that is missing is one that the device cannot tell.
"""

import json
import os
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0
_table = None


class NVMLError(Exception):
    pass


def nvmlInit():
    global _table
    try:
        with open(os.environ["FAKE_NVML"]) as file:
            _table = json.load(file)
    except (KeyError, OSError):
        raise NVMLError("no driver") from None


def nvmlShutdown():
    global _table
    _table = None


def nvmlDeviceGetCount():
    return len(_table)


def nvmlDeviceGetHandleByIndex(index):
    if index >= len(_table):
        raise NVMLError("no such device")
    return _table[index]


def _value(device, key):
    if key not in device:
        raise NVMLError("not supported")
    return device[key]


def nvmlDeviceGetUUID(device):
    return device["uuid"]


def nvmlDeviceGetMemoryInfo(device):
    return SimpleNamespace(total=int(_value(device, "total")), used=int(device.get("used", 0)))


def nvmlDeviceGetUtilizationRates(device):
    return SimpleNamespace(gpu=_value(device, "busy"))


def nvmlDeviceGetPowerUsage(device):
    return _value(device, "milliwatts")


def nvmlDeviceGetTemperature(device, _sensor):
    return _value(device, "celsius")


def nvmlDeviceGetComputeRunningProcesses(device):
    found = _value(device, "processes")
    return [SimpleNamespace(pid=pid, usedGpuMemory=None if size is None else int(size)) for pid, size in found]
