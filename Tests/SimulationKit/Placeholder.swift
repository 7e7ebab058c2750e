internal import SystemIO
