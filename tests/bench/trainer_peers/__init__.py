"""The same training in several libraries, each as fast as it goes there, for tests/bench/trainer.py to time."""
