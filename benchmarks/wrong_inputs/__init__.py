"""Wrong inputs of every kind that a user can give, each with what its one message must say."""
