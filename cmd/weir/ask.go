package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// question asks for what a flag, or an argument, would say.
type question struct {
	flag     string // that the answer sets; empty: an argument
	text     string
	fallback string   // what an empty answer means; empty: the flag's default stays
	choices  []string // that there are; none: anything
	needed   bool     // an empty answer is none
	// when says whether it is asked at all; nil: always.
	when func(*cobra.Command) bool
	// check refuses an answer; nil: the flag does.
	check func(string) error
}

// guide asks the questions of one command on a terminal.
type guide struct {
	*app
	cmd   *cobra.Command
	in    *bufio.Reader
	given []string // flags that were answered, as they are written on a command line
}

func (a *app) newGuide(cmd *cobra.Command) *guide {
	return &guide{app: a, cmd: cmd, in: bufio.NewReader(a.in)}
}

// ask asks until the answer is one. Flags that were given are not asked for.
func (g *guide) ask(q question) (string, error) {
	if q.flag != "" && g.cmd.Flags().Changed(q.flag) || q.when != nil && !q.when(g.cmd) {
		return "", nil
	}
	for {
		fmt.Fprint(g.err, q.prompt())
		line, err := g.in.ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			fmt.Fprintln(g.err)
			return "", fmt.Errorf("no answer to %q; nothing was made", q.text)
		}
		answer := strings.TrimSpace(line)
		if answer == "" && !q.needed {
			return "", nil
		}
		if err := g.take(q, answer); err != nil {
			fmt.Fprintf(g.err, "  %v\n", err)
			continue
		}
		return answer, nil
	}
}

func (q *question) prompt() string {
	var b strings.Builder
	b.WriteString(q.text)
	if len(q.choices) > 0 {
		b.WriteString(" (" + oneOf(slices.Clone(q.choices)) + ")")
	}
	if q.fallback != "" {
		b.WriteString(" [" + q.fallback + "]")
	}
	return b.String() + ": "
}

// take checks an answer and sets the flag.
func (g *guide) take(q question, answer string) error {
	switch {
	case answer == "":
		return errors.New("this one needs an answer")
	case len(q.choices) > 0 && !slices.Contains(q.choices, answer):
		return fmt.Errorf("%q is not one of %s", answer, oneOf(slices.Clone(q.choices)))
	case q.check != nil:
		if err := q.check(answer); err != nil {
			return err
		}
	}
	if q.flag == "" {
		return nil
	}
	if err := g.cmd.Flags().Set(q.flag, answer); err != nil {
		if why := errors.Unwrap(err); why != nil {
			return why // without the flag's name, which nobody has typed
		}
		return err
	}
	g.given = append(g.given, "--"+q.flag, quoted(answer))
	return nil
}

// all asks for flags, one after the other.
func (g *guide) all(questions []question) error {
	for _, q := range questions {
		if _, err := g.ask(q); err != nil {
			return err
		}
	}
	return nil
}

// repeat shows the command that does the same without questions.
func (g *guide) repeat(args ...string) {
	line := []string{g.cmd.CommandPath()}
	for _, arg := range args {
		line = append(line, quoted(arg))
	}
	fmt.Fprintf(g.err, "\nThe same without questions:\n  %s\n\n", strings.Join(append(line, g.given...), " "))
}

// quoted writes an argument as a shell takes it.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.,:/@+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// nameOf refuses what no stream and no consumer may be called.
func nameOf(s string) error {
	if strings.ContainsAny(s, " \t.*>/\\") {
		return fmt.Errorf("a name has no spaces and none of . * > / \\")
	}
	return nil
}

// isSet says whether some of these flags were given, or answered.
func isSet(flags ...string) func(*cobra.Command) bool {
	return func(cmd *cobra.Command) bool { return slices.ContainsFunc(flags, cmd.Flags().Changed) }
}
