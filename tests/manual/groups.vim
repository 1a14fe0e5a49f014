" SPDX-License-Identifier: GPL-2.0-or-later
" Writes the group of each byte of $FILES into $OUT: `group:count` for each run of bytes, a line for each line.
set nocompatible
let &runtimepath = $SYNTAX . ',' . &runtimepath
syntax on
filetype plugin on
for file in split($FILES, "\n")
  execute 'edit' fnameescape(file)
  let lines = [&filetype . ' ' . &commentstring]
  for line in range(1, line('$'))
    let runs = []
    let last = ''
    let length = 0
    for column in range(1, col([line, '$']) - 1)
      let group = synIDattr(synID(line, column, 1), 'name')
      if group ==# last
        let length += 1
      else
        call add(runs, last . ':' . length)
        let last = group
        let length = 1
      endif
    endfor
    call add(lines, join(add(runs, last . ':' . length)))
  endfor
  call writefile(lines, $OUT . '/' . substitute(file, '/', '%', 'g'))
endfor
quitall!
