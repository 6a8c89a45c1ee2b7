"""What the commands do. Each module is loaded when its command is called; `penstock.cli.table` names them."""
