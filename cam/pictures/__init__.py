"""Pictures: reading them, listing them, and cutting the network's input out of them."""
