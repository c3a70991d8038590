"""Files for the servers of benchmarks: how they are written, and what is wrong with some that exist."""
