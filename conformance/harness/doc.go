// Package harness runs a server binary as a process of its own for the tests
// beside it, and speaks to it in raw protocol lines where a client library
// would smooth things over.
//
// The binary is built once for each test binary from the repository around this
// module; WEIR_BIN names another one, such as nats-server, whose behaviour the
// tests are checked against. Commands (see CLI) always come from the repository.
package harness
