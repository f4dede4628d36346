// Package routing answers who matches a subject. A Table holds values, such as
// subscriptions, by pattern and queue name, in a tree with a level for each token.
//
// # Promises
//
// Add and Remove take a time that does not grow with the number of patterns or of
// values under one pattern (amortised; a match after a change pays for the values
// that it returns). What Remove leaves empty is given back. A Result never changes:
// it may be kept and shared, and is right as long as Generation stays the same.
// Where just one pattern matches, its Result is made once and shared by all
// callers, so such a match allocates nothing.
//
// # Generations
//
// Generation changes after a change can be seen by Match. A cache therefore reads
// Generation first and calls Match afterwards: what it keeps under a generation is
// at least as new as that generation. The other way round it could keep an old
// result under a new generation for ever.
//
// # Prefixes
//
// A cache of exact subjects does not serve subjects whose last token is always
// new, such as inboxes. Result.LastTokenFree says that the last token made no
// difference; the result may then be kept under Prefix(subject). Where several tokens
// are always new, as in those of acknowledgements, MatchUpTo says how many of the first
// ones count.
//
// # Concurrency
//
// The package starts no goroutine. A Table has one lock, mu, that readers share
// and that Add and Remove hold for one change each; nothing is called with it held.
// A broker's subject space, a leaf and a door may own a Table.
package routing
