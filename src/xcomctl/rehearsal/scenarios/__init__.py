"""What a rehearsal plays: one file per scenario, each required observation written where it is made."""
