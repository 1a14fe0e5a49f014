# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: the time from the request to start a module until its probes are attached, by the guest's clock.

arming.py module-path module-name -> {"armed": functions, "arming": s}
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read


def main() -> None:
    module_loader.load(Path(sys.argv[1]))
    with Device.open(sys.argv[2]) as device:
        begun = time.monotonic()
        device.start()
        took = time.monotonic() - begun
        probes = read(device).probes
        armed = sum(f.armed for probe in probes for f in probe.functions or (probe,))
    print(json.dumps({"armed": armed, "arming": took}))


if __name__ == "__main__":
    main()
