"""What is added to a checkpoint for one picture and taken away without a trace: ControlNets, LoRAs, textual inversions."""
