"""The training recipe: augmentation, mixing, distillation, schedules, averages, calibration."""
