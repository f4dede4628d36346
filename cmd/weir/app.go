package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// app is what the commands share: the streams of the process and the global flags.
type app struct {
	// Set at construction.
	in                        io.Reader
	out, err                  io.Writer
	inTerm, outTerm, errTerm  bool
	getenv                    func(string) string
	server, user, pass, token string
	timeout                   time.Duration
	noColor, asJSON           bool
}

func newApp(in io.Reader, out, errOut io.Writer) *app {
	return &app{
		in: in, out: out, err: errOut,
		inTerm: isTerminal(in), outTerm: isTerminal(out), errTerm: isTerminal(errOut),
		getenv: os.Getenv,
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bindGlobal adds the flags that every command takes. The environment gives
// their defaults under the names that NATS tools use.
func (a *app) bindGlobal(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVarP(&a.server, "server", "s", envOr(a.getenv, "NATS_URL", "nats://127.0.0.1:4222"), "server `URL`, several with commas (NATS_URL)")
	f.StringVar(&a.user, "user", a.getenv("NATS_USER"), "user name (NATS_USER)")
	f.StringVar(&a.pass, "password", "", "password (NATS_PASSWORD)")
	f.StringVar(&a.token, "token", "", "access token (NATS_TOKEN)")
	f.DurationVar(&a.timeout, "timeout", 5*time.Second, "how long to wait for the server or a reply")
	f.BoolVar(&a.asJSON, "json", false, "print JSON for programs")
	f.BoolVar(&a.noColor, "no-color", false, "print without colours (NO_COLOR)")
}

// password and accessToken read the environment late, so that help never shows a secret as a default.
func (a *app) password() string    { return orEnv(a.pass, a.getenv, "NATS_PASSWORD") }
func (a *app) accessToken() string { return orEnv(a.token, a.getenv, "NATS_TOKEN") }

func orEnv(value string, getenv func(string) string, name string) string {
	if value != "" {
		return value
	}
	return getenv(name)
}

func envOr(getenv func(string) string, name, fallback string) string {
	if v := getenv(name); v != "" {
		return v
	}
	return fallback
}

// colour reports whether standard output takes colour.
func (a *app) colour() bool {
	return a.outTerm && !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// bold marks text on a terminal that takes colour.
func (a *app) bold(s string) string {
	if !a.colour() {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// printJSON writes v indented, as one document.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
