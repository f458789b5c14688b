from aws.record import Record
def show(record: Record, where: str) -> None:
    pass
