// Package subject knows what a subject is and which subjects a pattern stands
// for. A subject is a row of tokens joined by dots. A token is never empty and
// holds no white space; any other byte may stand in it, and case matters. A
// pattern is a subject in which the token "*" stands for any one token and the
// token ">", only as the last one, for one or more. A "*" or ">" inside a longer
// token is an ordinary character.
//
// A literal is what a message is published to. It is matched as it stands, so a
// literal "foo.*" is met by the patterns "foo.*" and "foo.>" alone. A literal
// with an empty token is met by no pattern.
//
// A Transform maps the subjects that a pattern stands for to others. A Mapping
// renames them one to one, so that there is a way back.
//
// The package owns no state, starts no goroutine and holds no lock; its functions
// are pure and may be called by everyone. Those on patterns allocate nothing.
package subject
