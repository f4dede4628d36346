package quickstart

import (
	"regexp"
	"strings"
)

// step is a command of the page and what it printed.
type step struct {
	command string
	output  string
	line    int // of the command in the page, from 0
	until   int // line after the output
}

// steps reads the console blocks of a page.
func steps(page string) []step {
	var list []step
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch {
		case line == "```console":
			inside = true
		case inside && line == "```":
			inside = false
		case inside && strings.HasPrefix(line, "$ "):
			list = append(list, step{command: line[2:], line: i, until: i + 1})
		case inside && len(list) > 0:
			last := &list[len(list)-1]
			last.output += line + "\n"
			last.until = i + 1
		}
	}
	return list
}

// rewrite returns the page with these outputs.
func rewrite(page string, list []step, outputs []string) string {
	lines := strings.Split(page, "\n")
	var b strings.Builder
	at := 0
	for i, s := range list {
		for ; at <= s.line; at++ {
			b.WriteString(lines[at] + "\n")
		}
		b.WriteString(outputs[i])
		at = s.until
	}
	b.WriteString(strings.Join(lines[at:], "\n"))
	return b.String()
}

var (
	figures = regexp.MustCompile(`[0-9][0-9,.:]*`)
	units   = regexp.MustCompile(`# ?([KMGT]?i?B|[nµm]?s|[hmd])\b`)
	stamps  = regexp.MustCompile(`#-#-#(T#Z?)?( #)?`)
	commits = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	// sometimes are lines that depend on the moment of the kill.
	sometimes = regexp.MustCompile(`(?m)^ +[0-9,]+ (of them the stream already had|sent without an answer).*\n`)
	// notices are the shell's own, about a job that was killed.
	notices = regexp.MustCompile(`(?m)^bash: line [0-9]+: +[0-9]+ Killed.*\n`)
	blanks  = regexp.MustCompile(`[ \t]+`)
)

// apart takes figures out of a text, with the units that go with them and the
// room that tables give them.
func apart(text string) string {
	text = sometimes.ReplaceAllString(text, "")
	text = commits.ReplaceAllString(text, "#")
	text = figures.ReplaceAllString(text, "#")
	text = stamps.ReplaceAllString(text, "#")
	for {
		next := units.ReplaceAllString(text, "#")
		next = strings.ReplaceAll(next, "##", "#")
		if next == text {
			break
		}
		text = next
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.TrimSpace(blanks.ReplaceAllString(line, " ")))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
