"""Linux 3.8: the functions whose body differs from :mod:`sim.kernel`."""
