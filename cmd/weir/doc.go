// Command weir is the message broker and its client and admin commands in one binary.
//
// Without a subcommand it runs the server (see serve.go), and flags in
// nats-server's style go to the server untouched. check and repair work on a
// stopped server's directory. Every other command is a client: it connects over
// the NATS protocol with the official Go client and needs nothing of the server's
// packages but the format of backups. One file holds one command; app.go
// has what they share (streams of the process, global flags), connect.go the
// connection, table.go and format.go what people see.
//
// Exit status: 0 done, 1 failed, 2 wrong usage.
package main
