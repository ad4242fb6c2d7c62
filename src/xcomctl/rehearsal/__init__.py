"""The rehearsal: a throwaway deployment, walked up and down for real, and what was seen on the way."""
