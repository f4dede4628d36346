package main

import (
	"fmt"
	"io"
)

// serve runs the server until a signal ends it and returns the exit status.
func serve(args []string, stdout, stderr io.Writer) int {
	fmt.Fprintln(stderr, "weir: the server is not part of this build")
	return exitFailure
}
