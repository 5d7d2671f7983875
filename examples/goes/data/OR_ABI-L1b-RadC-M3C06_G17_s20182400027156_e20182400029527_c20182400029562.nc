‰HDF

ABI channel 06, a few bytes in place of 5 MB
