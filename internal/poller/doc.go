// Package poller waits for the input of many TCP connections on few goroutines.
//
// A Poller has loops, each an epoll instance of its own and the goroutine that
// waits for it. A Socket is a connection that was taken over from the net
// package, whose own poller does not see it any more: a message that comes in
// wakes one thread, which reads and handles it and waits again. The net package
// would wake one to find the goroutine and often a second to look for more.
//
// Promises: a socket's Input is called by one goroutine at a time, again for each
// arrival and each Wake after the last call began, and never after it said Done.
// It is called on the loop while connections bring little at a time; one that
// brings much, or has to wait, gets a goroutine for as long as that lasts, so that
// no connection keeps the others of a loop waiting. What the Inputs of a loop share is
// its Round, which ends before the loop waits; until then none of those that took part
// is called anywhere else, so that what they do later comes after it.
//
// While a loop serves many clients at once, the threads of the whole process wait for a
// free processor when they are woken instead of taking it from somebody (manners): with
// clients on the same machine that saves two switches of threads for each message.
//
// A loop that has been serving one connection alone helps a Helper with the work which that
// has brought, before it waits: who waits for each answer gets it sooner than if another
// goroutine were woken for the work. If the help takes longer than some milliseconds
// another goroutine goes on with the loop.
//
// Goroutines: one for each loop, one for the manners, one that watches help, and one for
// each socket that is served apart, which ends when its Input says that it brings little
// again, or is done; Close joins all.
// Locks: loop.mu, Socket.mu and manners.mu, never together, never during a wait or a
// callback.
// Doors call it. Where there is no epoll, Open says so and doors read with one
// goroutine for each connection.
//
// Source: epoll(7), edge-triggered.
package poller
