"""How large XComs are as the backend compares them, and what a threshold would do."""
