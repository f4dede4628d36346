package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit statuses of every command.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:], newApp(os.Stdin, os.Stdout, os.Stderr)))
}

// run executes one command line and returns the exit status.
func run(args []string, a *app) int {
	if serverArgs, ok := forServer(args); ok {
		return serve(serverArgs, a.out, a.err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(a)
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

// forServer says whether args start the server, and with which of them. Flags
// without a command belong to the server, so that command lines written for
// nats-server work; only help and version are answered here.
func forServer(args []string) ([]string, bool) {
	if len(args) == 0 {
		return nil, true
	}
	switch first := args[0]; {
	case first == "serve":
		return args[1:], true
	case first == "-h" || first == "--help" || first == "-v" || first == "--version":
		return nil, false
	default:
		return args, strings.HasPrefix(first, "-")
	}
}

// report writes err for a person and returns the exit status that says the same.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(a.err, "weir: %v\nTry: %s --help\n", err, usage.command)
		return exitUsage
	}
	status := exitFailure
	var own *statusError
	if errors.As(err, &own) {
		status, err = own.status, own.err
	}
	if err != nil {
		fmt.Fprintf(a.err, "weir: %v\n", explain(err))
	}
	return status
}
