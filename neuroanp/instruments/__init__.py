"""The chip on the bench: instruments that hold the weights, what no update may exceed, what was measured of them."""
