"""A sampling profiler for slow steps: a thread that samples the stacks of running loops."""
