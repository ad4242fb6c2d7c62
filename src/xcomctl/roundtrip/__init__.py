"""Values of every form through the real class's own functions: what a push stores, and what a pull gets."""
