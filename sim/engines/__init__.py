"""Who goes next: a person (stepper), a clock (timed), or everybody in every order (checker)."""
