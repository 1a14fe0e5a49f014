" SPDX-License-Identifier: GPL-2.0-or-later
" Vim syntax of probe scripts (stapwatch, SystemTap). Made by packaging/editors; do not edit.
if exists("b:current_syntax")
  finish
endif
let s:cpo_save = &cpo
set cpo&vim
syn case match

" what begins with a word
syn match stapwatchFunction "\<\h\w*\>\ze\s*("
@KEYWORDS@
syn match stapwatchFamily "\<\%(@FAMILIES@\)\>\ze\s*[.({,?!]"
" a part of a probe point, as in kernel.function("f").return
syn match stapwatchPart "\.\%(@WORDS@\)\>"
syn match stapwatchNumber "\<\d\w*\>"

" what begins with a sign
syn match stapwatchPreprocessor "%[(?:)]"
syn match stapwatchMacro "@\h\w*"
syn match stapwatchAt "@\%(@AT@\)\>"
syn match stapwatchDefine "@define\>"
syn match stapwatchVariable "\$\+[A-Za-z_$][A-Za-z0-9_$]*\|\$\$\+"
syn match stapwatchArgument "[$@]\%(\d\+\|#\)"
syn match stapwatchEscape "\\\%(\o\{1,3}\|x\x\+\|.\)" contained
syn match stapwatchFormat "%\%([-+ #0]\)\=\%(\d\+\|\*\)\=\%(\.\%(\d\+\|\*\)\=\)\=l*[a-zA-Z%]" contained
syn region stapwatchString start=+"+ skip=+\\.+ end=+"\|\\\@<!$+ contains=stapwatchEscape,stapwatchFormat

syn keyword stapwatchTodo TODO FIXME XXX contained
syn match stapwatchComment "#.*$" contains=stapwatchTodo,@Spell
syn match stapwatchComment "//.*$" contains=stapwatchTodo,@Spell
syn region stapwatchComment start="/\*" end="\*/" contains=stapwatchTodo,@Spell

" embedded C
syn include @stapwatchC syntax/c.vim
unlet! b:current_syntax
syn region stapwatchEmbedded matchgroup=stapwatchBracket start="%{" end="%}" contains=@stapwatchC keepend

syn sync minlines=200

@LINKS@

let b:current_syntax = "stapwatch"
let &cpo = s:cpo_save
unlet s:cpo_save
