"""Writes a file through a shared mapping whose descriptor is closed: mapped.py TARGET CONTENT; ends as write.mjs does"""

import ctypes
import os
import sys
import time

PIECES = 12
SHORT = 0.35
PATIENCE = 60
PROT_READ_WRITE, MAP_SHARED = 3, 1

target, source = sys.argv[1:]
with open(source, "rb") as file:
    content = file.read()
fd = os.open(target, os.O_RDWR | os.O_CREAT, 0o644)
os.ftruncate(fd, len(content))
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
address = libc.mmap(None, len(content), PROT_READ_WRITE, MAP_SHARED, fd, 0)
assert address not in (None, ctypes.c_void_p(-1).value)
os.close(fd)
size = -(-len(content) // PIECES)
end = time.time() + PATIENCE
at = 0
while at < len(content):
    if at > 0:
        time.sleep(SHORT)
    left = len(content) - at
    may_end = left < 2 or os.path.exists(source + ".go") or time.time() > end
    length = size if left > size else left if may_end else 1
    piece = content[at : at + length]
    ctypes.memmove(address + at, piece, length)
    at += length
