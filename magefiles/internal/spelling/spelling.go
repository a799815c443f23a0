// Package spelling says how far a word is from the one that was perhaps meant.
package spelling

// Apart returns how many slips make one word of another, or more than most where it takes more. A slip is a letter that is missing, too much, or
// another one, or two neighbours that have changed places (the optimal string alignment distance).
func Apart(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	var before []int // the row of distances before the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(row[j], last[j+1]) + 1
			if a[i] == b[j] {
				row[j+1] = min(row[j+1], last[j])
			} else {
				row[j+1] = min(row[j+1], last[j]+1)
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// Near tells whether a word is perhaps another, misspelt: by one slip, or where both have more than five letters, by two.
func Near(a, b string) bool {
	most := 1
	if min(len(a), len(b)) > 5 {
		most = 2
	}
	return a != b && Apart(a, b, most) <= most
}
