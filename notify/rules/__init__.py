"""Who is told what, and when: from what happened, and from the clock, to notices."""
