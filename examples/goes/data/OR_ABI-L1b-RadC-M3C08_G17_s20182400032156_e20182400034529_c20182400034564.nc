‰HDF

ABI channel 08, a few bytes in place of 5 MB
