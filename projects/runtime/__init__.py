"""What mmroad changes and adds in the frameworks: operators, training that can be killed, several processes."""
