"""What grew where while a job ran, and what that says about its end."""
