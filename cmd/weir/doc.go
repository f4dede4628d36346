// Command weir is the message broker and its client and admin commands in one binary.
//
// Without a subcommand it runs the server (see serve.go), and flags in
// nats-server's style go to the server untouched. check and repair work on a
// stopped server's directory. Every other command is a client: it connects over
// the NATS protocol with the official Go client. Of the server's packages a client
// needs formats only: of backups and records, and of consumers' states (backup,
// import). One file holds one command, or one concern of a command that is larger:
// import*.go are one. app.go has what they share (streams of the process, global
// flags), connect.go the connection, table.go and format.go what people see, ask.go
// the questions of commands that guide.
//
// Goroutines: those of the client library; one that writes a backup into the pipe that
// is sent (importing.upload, which joins it); one for each read of an object that a lost
// connection would leave waiting (untilClosed), which ends with the process.
//
// Exit status: 0 done, 1 failed, 2 wrong usage.
package main
