"""Everything that imports Ray Train, so that what does without it starts seconds earlier."""
