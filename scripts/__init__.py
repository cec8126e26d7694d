"""What drives the reproduction: data sets, networks, training runs and the workflow around them."""
