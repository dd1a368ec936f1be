"""Training supernets and single networks in plain torch: samplers, losses, schedules, steps,
checkpoints. No Ray here.
"""
