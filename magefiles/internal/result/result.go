// Package result has the words in which every step says what it found.
package result

// Result is what a step or an object's application came to.
type Result string

const (
	// Unchanged: the live state was already the wanted one, and nothing was written.
	Unchanged Result = "unchanged"
	// Created: it was not there, and was made.
	Created Result = "created"
	// Updated: what is wanted has changed since it was last applied, and the live state followed.
	Updated Result = "updated"
	// Repaired: somebody else had changed or damaged the live state, and it was put back.
	Repaired Result = "repaired"
)

// Of sums up the results of a step's parts: the same for all, or else repaired where any part was, or else updated. No part at all
// is unchanged.
func Of(parts ...Result) Result {
	if len(parts) == 0 {
		return Unchanged
	}
	sum := parts[0]
	for _, part := range parts[1:] {
		switch {
		case part == sum:
		case part == Repaired || sum == Repaired:
			sum = Repaired
		default:
			sum = Updated
		}
	}
	return sum
}
