"""What runs next: experiment files, enqueue, tickets, retry, repair, and the command line."""
