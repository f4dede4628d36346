// Package quickstart runs the commands of docs/quickstart.md and of
// docs/liftbridge-quickstart.md, each in a clean clone of the repository, and compares
// what they print with the page, figures apart.
// `go test ./quickstart -update` writes what was printed into the page instead.
package quickstart
