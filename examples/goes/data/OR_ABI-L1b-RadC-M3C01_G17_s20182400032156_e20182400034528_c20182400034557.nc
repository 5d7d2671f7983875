‰HDF

ABI channel 01, a few bytes in place of 5 MB
