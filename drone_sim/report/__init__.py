"""What a run leaves behind for others: JUnit XML, GitHub's annotations, a page to look at."""
