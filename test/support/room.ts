import { ByteBudget } from '../../app/byte-budget.ts'
import { AnswerRoom } from '../../app/store/answer-room.ts'

/** Room for answers of so many bytes. */
export function makeRoom(answerBytes = 32 * 1_048_576): AnswerRoom {
  return new AnswerRoom(new ByteBudget(128 * 1_048_576), answerBytes)
}
