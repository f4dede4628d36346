// Package policy says by casbin's model and policy files what a client may do that is
// known by the name of its certificate.
//
// A Model says what rules look like and when one holds; a Policy is a model with the
// rules of a file. Everything that can be wrong with either is found when it is read,
// with its place: a rule that does not fit, that cannot be judged, or that would count
// for nothing. What cannot be judged all the same is not allowed.
//
// A Policy never changes, so it remembers its answers: who changes the files reads them
// again and puts the new policy in the place of the old one.
//
// The package starts no goroutine. A Policy has two locks, taken one after the other:
// one over its answers, one held while the library judges. Assembly may use it.
package policy
