‰HDF

ABI channel 03, a few bytes in place of 5 MB
